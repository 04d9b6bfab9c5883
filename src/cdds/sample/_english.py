"""How a customer and an agent put English words together.

Place: raw material of `_tongues`; the slots in braces are filled by `_prose`. It refuses grammar
that a slot could break: no pattern depends on gender, number or tense of what it is given.
"""

MAIL = """
I am writing about the {a} {n} for my {n} {o}, which I asked you to {v} on {d}.
Your {n} from {c} told me to {v} the {n} and to {v} the {a} {n}, but that did not help.
Could you please {v} the {n} and tell me whether the {n} is still {a}?
According to the {n} of {d}, the {a} {n} should have been {m} instead of {m}.
We had to {v} our {n} {b}, because the {a} {n} does not {v} the {p} {n}.
The {p} {n} arrived in {c} on {d}, {b} without the {a} {n} that I had ordered.
Thank you for your {a} {n}; I will {b} {v} the {n} and come back to you.
After the last {n} {n} the {p} shows a {a} {n} and {b} refuses to {v} anything.
Please {v} {m} to the {n} that you find in the attached {n}.
As a {a} customer I expect you to {v} this {n} before {d}.
I have {b} tried to {v} the {n} at {t}, at {t} and at {t}, each time with a {a} {n}.
The reference of my {n} is {o}, the {n} was signed in {c} on {d}.
If it is not possible to {v} the {a} {n}, I would {b} like to {v} the whole {n}.
My colleague in {c} has a {a} {n} with the same {n}, so the {n} cannot be the reason.
Attached you will find the {a} {n}, the {n} and a {n} of the {p}.
It is {b} not clear to me why the {n} says {a} while the {n} says {a}.
We are sorry for the {a} {n} and have asked our {n} team to {v} it {b}.
Your {n} {o} has been passed on; a {a} {n} will {v} you on {d} at about {t}.
To {v} the {n}, open the {a} {n} of the {p}, choose {n} and then {v}.
We can {v} the {n} of {m} as soon as the {a} {n} reaches our {n} in {c}.
In the meantime you may {b} {v} the {a} {n} or {v} another {n} at no extra {n}.
Please note that a {a} {n} can take until {d}, as the {n} has to {v} every {n} {b}.
Our records show a {n} of {m} on {d} and a {a} {n} of {m} on {d}.
Would you {b} {v} the {n} once more, with the {a} {n} and without the {n}?
The {n} in {c} will {v} your {a} {n} between {t} and {t}.
For your {n} we have added {m} to the {a} {n} under {o}.
{p} and {p} both {v} the {n}, yet only one of them can {v} a {a} {n}.
I was {b} told that every {n} includes a {n}, a {n} and a {a} {n}.
Since {d} nobody has been able to {v} why the {a} {n} in {c} is {b} {a}.
Nothing in the {n} explains the {a} {n}, nor does your {n} at {t}.
"""

COMPOUNDS = """
{h} {h}
{a} {h}
{a} {h} {h}
{h} {h} of {c}
{h} for {p}
{h} of {d}
"""

TALK = """
{a} {n}, {a} {n}, {b} no {n}
{p} or {p}?
{n} = {k}
it is {k}, from the {n}
{b}: {n}, {n} and {n}
{c}, {d}, {t}
my {n} says {k} / {o}
hm. {b} {a}?
never {v} a {n} like {p}
{v}, {v}, {v}... and the {n} stays {a}
we {v} {n} only {b}
no {n} at {t}, {a} {n} at {t}
Hello, I need to {v} my {n}
My {n} number is {o}
I wanted to {v} the {a} {n}, but the {n} is {a} now
It says "{a} {n}" & nothing else
Since {d}, I think
Can you {v} it for me?
One moment please, I will {v} the {n}
I can see a {a} {n} of {m} here
Is the {p} connected to the {n}?
yes, and I have {b} tried to {v} it
no, the {n} is {a}
Please {v} the {n} and wait for the {a} {n}
That would be {m} for the {n}, including {n}
ok, {b} done. The {n} still does not {v}
Did you receive the {n} about {p} on {d}?
I have sent a {n} to {c} at {t}
Thanks, that was {a}!
Sorry to hear that. Let me {v} with the {n} team
The {a} {n} in {c} will {v} you {b}
so I have to {v} a {a} {n} just to {v} the {n}??
Your {n} {o} is {a}, you can {v} it {b}
Which {n} did you {v} - the {a} one or the {p}?
hm, {b}. And the {n}?
I would like to {v} the {n} before {d} if possible
Could you {v} that in a {n}?
Is there anything else I can {v} for you?
The {n} was {a} < {m}, I am sure
Great, {p} works again \N{SMILING FACE WITH SMILING EYES}
Thank you for your {n}, have a {a} day \N{WAVING HAND SIGN}
\N{THUMBS UP SIGN} the {n} is {a} again
"""

SUBJECTS = """
{a} {n} for {o}
Question about my {n} and the {p}
{n} {o}: {a} {n}
Please {v} the {n} in {c}
Your {n} of {d}
{p}: {n} does not {v}
Reminder: {a} {n} of {m}
"""

GREETINGS = """
Dear Sir or Madam,
Hello,
Good morning,
Dear {p} team,
Dear customer service,
"""

CLOSINGS = """
Kind regards,
Best wishes from {c},
Yours faithfully,
Many thanks in advance,
"""
