"""What only the `keymeld` command needs: a person's words in, sentences and tables out.

words.py, arguments.py    what a person types        ──▶ rules, amounts, times, transactions
app.py                    wallet, coordinator, trust ──▶ a client that has caught up
verbs.py, failures.py     the shared options; errors ──▶ sentences, hints and exit codes
names.py, reading.py      keys and sealed texts      ──▶ who is who, printable
sentences.py              a verified record          ──▶ a sentence
screen.py, qr.py          sentences and tables       ──▶ the terminal, or JSON for scripts
watching.py               sessions, live

inviting.py  joining.py  keygens.py  signings.py  keeping.py     the commands
"""
