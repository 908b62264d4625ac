"""What only the `keymeld` command needs: a person's words in, sentences and tables out.

words.py, given.py        what a person types        ──▶ rules, amounts, times; bytes from hex, base64 and files
tweaking.py               what he types of keys      ──▶ children, tweaks, script trees
arguments.py              these as types of options
app.py                    wallet, coordinator, trust ──▶ a client that has caught up
verbs.py, failures.py     the shared options; errors ──▶ sentences, hints and exit codes
names.py, reading.py      keys and sealed texts      ──▶ who is who, printable
sentences.py              a verified record          ──▶ a sentence
screen.py, qr.py          sentences and tables       ──▶ the terminal, or JSON for scripts
watching.py               sessions, live

inviting.py  joining.py  keygens.py  addresses.py  requesting.py  signings.py  results.py  keeping.py     the commands
"""
