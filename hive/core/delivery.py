"""How a message comes to an agent exactly once: what is typed, when, and what proves it.

`decide` gives the next move for one message. Nothing is typed without a fresh look; nothing is
pasted twice into one launch; Enter is repeated at most once, and only behind exactly our text.
The pane remembers what was pasted and entered there, so a hive that was killed between doing and
writing down does not do it again. Times are epoch seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hive.core import gate
from hive.core.messages import OVER, Message, Stage
from hive.core.profile import Profile
from hive.core.signs import Condition, Ear, Glimpse, Source, Turn
from hive.core.wording import ...
