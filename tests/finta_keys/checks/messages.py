"""What a check has found."""


def only(messages, check_id):
    """Return the one message of these, which must have this id."""
    assert [message.id for message in messages] == [check_id]
    return messages[0]
