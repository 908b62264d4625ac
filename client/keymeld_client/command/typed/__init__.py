"""What a person types after `keymeld`, and what it comes to; each wrong word has an answer."""
