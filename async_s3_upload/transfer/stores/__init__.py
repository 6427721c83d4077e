"""S3, as the rest of the program sees it, and questions to it."""
