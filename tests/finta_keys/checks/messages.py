"""Assertions on the messages of system checks."""


def only(messages, check_id):
    """Return the single message, which must have this id."""
    assert [message.id for message in messages] == [check_id]
    return messages[0]
