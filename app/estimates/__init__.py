"""What a job would come to, before anybody asks for it."""
