"""What a member computes from a log it has opened, and what it owes to one (§10, §11).

heard          roster ▶ plan ▶ places ▶ attempt ▶ faults                 whoever is a member, or signs for one
allowed        item_policy, content_policy (own_scripts) ▶ policies      what the owner of a key lets it be used for
               policies ▶ judging (plans, patience)                      once, in pieces; the plan as often as needed
contributed    holder ▶ signer ─┐                                        whoever holds keys: nobody else imports
               own_rules ───────┴▶ contributing ▶ speaker                signer and contributing
               presigning ──────┘
"""
