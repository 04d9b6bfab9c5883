# ruff: noqa: RUF001  (the French apostrophe is meant)
"""The languages that customers write in, each with its words, patterns and names.

Place: between the raw words and `_prose`. It refuses transliteration by rule: a name that is not
written in Latin letters brings its Latin form along (``Ольга/Olga``), for addresses.
"""

from collections.abc import Mapping
from string import Formatter
from typing import TypeAlias

import attrs

from cdds.sample import _english, _words

Pattern: TypeAlias = tuple[tuple[str, str | None], ...]
"""A sentence to be filled: pieces of text, each followed by the slot after it."""


@attrs.frozen
class Tongue:
    """One language: its words by slot, its patterns by occasion, its names.

    The slot ``n`` takes a word of ``h`` or a compound, so that nouns hardly run out.
    """

    code: str
    weight: float
    words: Mapping[str, tuple[str, ...]]
    compounds: tuple[Pattern, ...]
    mail: tuple[Pattern, ...]
    talk: tuple[Pattern, ...]
    subjects: tuple[Pattern, ...]
    greetings: tuple[Pattern, ...]
    closings: tuple[Pattern, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


def patterns(lines: str) -> tuple[Pattern, ...]:
    """Parse one pattern for each line that is not empty."""
    return tuple(_pattern(line) for line in lines.splitlines() if line)


def _pattern(line: str) -> Pattern:
    return tuple((text, slot) for text, slot, _, _ in Formatter().parse(line))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(",") if phrase.strip())


_ENGLISH = Tongue(
    code="en",
    weight=72,
    words={
        "h": _words.NOUNS,
        "v": _words.VERBS,
        "a": _words.ADJECTIVES,
        "b": _words.ADVERBS,
        "c": _words.PLACES,
    },
    compounds=patterns(_english.COMPOUNDS),
    mail=patterns(_english.MAIL),
    talk=patterns(_english.TALK),
    subjects=patterns(_english.SUBJECTS),
    greetings=patterns(_english.GREETINGS),
    closings=patterns(_english.CLOSINGS),
    first_names=_phrases(
        "Alice, Amara, Ben, Bridget, Callum, Carol, Daisy, Dominic, Edith, Ellis, Fiona, "
        "Gareth, Hazel, Imogen, Jasper, Kieran, Leona, Malcolm, Nadia, Oscar, Paula, "
        "Quentin, Rosie, Stuart, Tessa, Ursula, Victor, Wendy, Xavier, Yvonne, Zara"
    ),
    last_names=_phrases(
        "Abbott, Barlow, Carver, Dalton, Ellwood, Farrow, Gibbs, Hartley, Ingram, Jarvis, "
        "Kendrick, Lockhart, Merton, Norwood, Osgood, Pickering, Quill, Radley, "
        "Sutcliffe, Thackery, Underhill, Vickers, Whitlock, Yardley"
    ),
)

_GERMAN = Tongue(
    code="de",
    weight=11,
    words={
        "h": _phrases(
            "die Rechnung, der Vertrag, das Gerät, die Lieferung, der Anschluss, die "
            "Gutschrift, das Päckchen, die Überweisung, der Zählerstand, die Kündigung, das "
            "Passwort, der Termin, die Rückerstattung, der Kühlschrank, die Größe, das "
            "Schloss, der Techniker, die Gebühr, die Störung, das Guthaben, der Tarifwechsel, "
            "die Mahnung, das Ersatzteil, der Schlüssel, die Bestätigung, das Angebot, der "
            "Router, die Zusatzoption, der Umzug, die Verlängerung"
        ),
        "v": _phrases(
            "prüfen, ändern, stornieren, zurückschicken, bestätigen, löschen, erneuern, "
            "überweisen, verlängern, umtauschen, abholen, reparieren, erklären, freischalten, "
            "kürzen, zuschicken, nachreichen, übertragen, ausführen, verschieben, anpassen, "
            "beschleunigen, erstatten"
        ),
        "a": _phrases(
            "falsch, verspätet, unvollständig, beschädigt, zu hoch, übersehen, nicht möglich, "
            "gesperrt, schon bezahlt, außergewöhnlich, unleserlich, endgültig, in Ordnung, "
            "überfällig, ungültig"
        ),
        "x": _phrases(
            "Vertrags, Rechnungs, Liefer, Kunden, Zahlungs, Service, Wartungs, Strom, Netz, "
            "Online, Reise, Paket, Termin, Garantie, Bestell, Abschluss, Rück, Teil, Jahres, "
            "Sonder, Ersatz, Haus, Geräte, Sicherheits, Anschluss, Werkstatt, Speicher, "
            "Leitungs, Filial, Bonus"
        ),
        "y": _phrases(
            "nummer, anfrage, kopie, prüfung, gebühr, adresse, buchung, meldung, option, "
            "karte, frist, übersicht, änderung, annahme, leistung, stelle, erklärung, liste, "
            "lösung, auskunft, zeit"
        ),
        "c": _phrases("Köln, München, Görlitz, Lübeck, Würzburg, Gießen, Zürich, Graz, Düren, Ulm"),
    },
    compounds=patterns("die {x}{y}\ndie {x}{y}\n{h} aus {c}\ndie {x}{y} vom {d}"),
    mail=patterns("""
seit dem {d} ist {n} leider {a}, und {n} lässt sich nicht {v}.
Könnten Sie bitte {n} zum Vorgang {o} {v} und mir kurz antworten?
Laut Schreiben vom {d} wären {m} fällig, abgebucht wurden jedoch {m}.
In {c} hieß es um {t} Uhr, {n} sei {a}; danach wollte niemand mehr etwas {v}.
Für {n} möchte ich {n} nicht noch einmal {v}, zumal {n} schon wieder {a} ist.
Wir haben {n} für {p} heute {v} lassen und melden uns bis zum {d}.
Anbei finden Sie {n} sowie {n}, wie um {t} Uhr besprochen.
Sobald {n} bei uns in {c} eingeht, werden wir {n} {v} und {m} gutschreiben.
Ich verstehe nicht, warum {n} {a} sein soll, obwohl {p} tadellos läuft.
"""),
    talk=patterns("""
Guten Tag, ich möchte {n} {v}
Vorgang {o}
Einen Moment bitte, ich werde {n} {v}
{n} ist {a} seit {d}
das kostet dann {m}, oder?
Ist {n} von {p} auch {a}?
ja, schon um {t} versucht
Vielen Dank & schöne Grüße aus {c} \N{SMILING FACE WITH SMILING EYES}
"""),
    subjects=patterns("""
Rückfrage: {n} {o}
{n} für {p} ist {a}
Bitte {n} {v}
"""),
    greetings=patterns("Sehr geehrte Damen und Herren,\nGuten Tag,\nHallo {p}-Team,"),
    closings=patterns("Mit freundlichen Grüßen\nSchöne Grüße aus {c}"),
    first_names=_phrases(
        "Jürgen/Juergen, Anneliese, Björn/Bjoern, Käthe/Kaethe, Günter/Guenter, Ilse, "
        "Lukas, Sören/Soeren, Ute, Jörg/Joerg, Friederike, Matthias"
    ),
    last_names=_phrases(
        "Müller/Mueller, Schäfer/Schaefer, Großmann/Grossmann, Krüger/Krueger, Vogt, "
        "Weiß/Weiss, Böhm/Boehm, Lindner, Jäger/Jaeger, Römer/Roemer, Brandt"
    ),
)

_FRENCH = Tongue(
    code="fr",
    weight=8,
    words={
        "h": _phrases(
            "la facture, le contrat, l’appareil, la livraison, le remboursement, l’échéance, "
            "le relevé, la résiliation, le mot de passe, le rendez-vous, la commande, le "
            "prélèvement, l’antenne, la pièce jointe, le numéro de série, la garantie, le "
            "dépannage, l’abonnement, le forfait, la clé, le déménagement, la réclamation, le "
            "crédit, l’étiquette, la boîte, le reçu"
        ),
        "v": _phrases(
            "vérifier, modifier, annuler, renvoyer, confirmer, supprimer, débloquer, régler, "
            "prolonger, échanger, réparer, expliquer, expédier, compléter, transférer, "
            "accélérer, réactiver"
        ),
        "a": _phrases(
            "en retard, incomplet, abîmé, trop élevé, déjà payé, bloqué, introuvable, périmé, "
            "illisible, à refaire, erroné, indisponible"
        ),
        "c": _phrases("Nîmes, Orléans, Besançon, Sète, Évreux, Liège, Genève, Épinal, Brest, Pau"),
    },
    compounds=patterns("{h} de {c}\n{h} avec {h}\n{h} du {d}\n{h} pour {p}"),
    mail=patterns("""
Depuis le {d}, {n} reste {a} et il m’est impossible de {v} quoi que ce soit.
Pourriez-vous {v} {n} du dossier {o} dans les meilleurs délais ?
D’après le courrier du {d}, il fallait payer {m} et non {m}.
À {c}, on m’a répondu à {t} que tout était {a}, sans rien {v}.
Nous avons demandé de {v} {n} pour {p} avant le {d}.
Vous trouverez ci-joint {n} ainsi que {n}.
Dès réception à {c}, nous pourrons {v} {n} et créditer {m}.
"""),
    talk=patterns("""
Bonjour, je voudrais {v} {n}
dossier {o}
Un instant, je vais {v} {n}
c’est {a} depuis le {d} !
Cela fera {m} pour {p}
Merci beaucoup, très bonne journée \N{WAVING HAND SIGN}
"""),
    subjects=patterns("Réclamation {o} : {n}\nImpossible de {v} {n}\n{p} : {n} {a}"),
    greetings=patterns("Madame, Monsieur,\nBonjour,"),
    closings=patterns("Bien cordialement,\nSalutations distinguées, {c}"),
    first_names=_phrases(
        "Élodie/Elodie, François/Francois, Hélène/Helene, Jérôme/Jerome, Léa/Lea, "
        "Noémie/Noemie, Rémi/Remi, Sylvain, Thérèse/Therese"
    ),
    last_names=_phrases(
        "Lefèvre/Lefevre, Gérard/Gerard, Marchand, Bénard/Benard, Caillou, Forêt/Foret, Delmas"
    ),
)

EUROPEAN = (_ENGLISH, _GERMAN, _FRENCH)
