"""E-mail addresses: as email-validator normalises them, without asking the network.

The domain becomes lower-case, and so do the mailbox names that every server must take in any case (info, sales …); a
person's name before the @ keeps its case. Plain addresses are read column by column.
"""

from __future__ import annotations

import email_validator
import pyarrow as pa
import pyarrow.compute as pc
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from mappings.codecs.cells import TEXT, Cells, contiguous, judged, lengths_of, mask_of, matches, picked, placed, present
from mappings.codecs.reading import Reading, Rule, refuse

_LABEL = r"[a-z0-9](?:-?[a-z0-9])*"
# Two hyphens in a row (xn--…), very long addresses and domains of special use are left to the library.
_PLAIN = rf"^[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:{_LABEL}\.)+[a-z](?:-?[a-z0-9])*[a-z]$"
_SPECIAL = rf"[@.](?:{'|'.join(name.replace('.', '[.]') for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)})$"
_LONGEST = 60  # shorter than any limit of the parts of an address


def decode_email(cells: Cells, rule: Rule) -> Reading:
    """The canonical address; one that no mail could reach (no dot in the domain, .local, .invalid) is refused."""
    del rule
    small = lengths_of(cells) <= _LONGEST
    plain = small & matches(cells, _PLAIN)
    values = cells
    if not plain.all():
        lower = contiguous(pc.ascii_lower(cells))
        mixed = small & ~plain & matches(lower, _PLAIN)
        values = placed(values, mixed, _lower_domain(picked(cells, mixed), picked(lower, mixed)))
        plain |= mixed
    plain &= ~matches(values, _SPECIAL)
    rest = present(cells) & ~plain
    if not rest.any():
        return Reading(values)
    values = placed(values, rest, judged(picked(cells, rest), address))
    return refuse(values, present(cells) & ~present(values), "not_email")


def _lower_domain(cells: Cells, lower: Cells) -> Cells:
    mailbox = pc.replace_substring_regex(cells, "@.*$", "")
    small = pc.replace_substring_regex(lower, "@.*$", "")
    general = mask_of(pc.is_in(small, value_set=pa.array(CASE_INSENSITIVE_MAILBOX_NAMES, TEXT)))
    mailbox = placed(contiguous(mailbox), general, picked(small, general))
    return pc.binary_join_element_wise(mailbox, pc.replace_substring_regex(lower, "^.*@", ""), pa.scalar("@", TEXT))


def address(text: str) -> str | None:
    """One address as the library normalises it; None where it is none."""
    try:
        return email_validator.validate_email(text, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        return None
