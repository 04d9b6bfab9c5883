"""What a recipient does with an export: find its files, prove them, read them.

Place: above archive and crypto, which it feeds with the bytes of files; beside what makes exports.
It writes nothing but what it was told to extract.
"""
