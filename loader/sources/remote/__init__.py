"""Input that is elsewhere: objects of S3, Google Cloud Storage and Azure, files of HTTP and SFTP servers."""
