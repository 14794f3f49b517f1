"""The zoo: whole families of networks and files of strangers, through the engine and through its peers."""
