"""Codecs: raw text to CRM values and back, a column at a time.

::

    page ─▶ into.decode_into ─┬─ keys, conditions                      which rows, and who they are
                              └─ field.decode_field ─▶ source_value    where the raw text comes from
                                                    ─▶ single          pattern, code table, codec, limits
                                                    ─▶ lists           cells that hold several values
    record ─▶ encode.encode_field                                      the way out
    mapping ─▶ round_trip.round_trip_problem                           the proof that both ways fit

A codec is a pair of functions in one file (text, numbers, dates, phone …), named in `registry`. Functions work on
Arrow arrays (`cells`); nothing here knows where a page comes from or goes to.
"""
