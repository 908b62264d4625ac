"""The participant's side: a Python SDK and the `keymeld` command.

It verifies every record it hears, recomputes whatever it can instead of believing it, and resumes each stream where
it stood when the connection was lost.
"""
