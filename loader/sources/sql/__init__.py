"""Rows of a query, as records: PostgreSQL by psycopg, other databases by SQLAlchemy."""
