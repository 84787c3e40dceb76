"""What is talked about: facts, signals, commands, the centre, the tables of states.

Pure; may import only errors and ids.
"""
