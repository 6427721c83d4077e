"""``verify``: is in S3 what should be there?"""
