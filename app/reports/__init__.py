"""What came of a job, as JSON, as a page that stands alone, as pictures, and beside another job."""
