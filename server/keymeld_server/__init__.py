"""The coordinator: it orders statements, stores them as records and streams them to their subscribers.

It can read nothing that is sealed and forge nothing that is signed. What is decided is appended, what is appended is
applied, and what is applied is published.
"""
