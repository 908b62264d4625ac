"""What only the `keymeld` command needs: a person's words in, sentences and tables out.

typed/                    what a person types        ──▶ rules, amounts, times, keys, tweaks, as options have them
app.py                    wallet, coordinator, trust ──▶ a client that has caught up
verbs.py, failures.py     the shared options; errors ──▶ sentences, hints and exit codes
names.py, opened.py       keys and sealed texts      ──▶ who is who, printable
sentences.py              a verified record          ──▶ a sentence
screen.py, qr.py          sentences and tables       ──▶ the terminal, or JSON for scripts
watching.py               sessions, live

inviting.py  joining.py  keygens.py  addresses.py  requesting.py  signings.py  results.py  keeping.py     the commands
keymeld.py                                                                                    their list
"""
