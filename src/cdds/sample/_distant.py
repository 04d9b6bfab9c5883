# ruff: noqa: RUF001  (these letters are meant)
"""The languages that are not written in Latin letters.

Place: raw material of `_prose`, beside `_tongues`. It refuses nothing more than its neighbour.
"""

from cdds.sample._tongues import Tongue, patterns


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


RUSSIAN = Tongue(
    code="ru",
    weight=5,
    words={
        "h": _phrases(
            "счёт|договор|доставка|возврат|ремонт|заявка|тариф|пароль|перевод|квитанция|гарантия|"
            "посылка|подключение|скидка|оплата|справка|заказ|расчёт|прибор|маршрут|уведомление"
        ),
        "v": _phrases(
            "проверить|изменить|отменить|подтвердить|вернуть|продлить|заменить|объяснить|ускорить|"
            "перенести|восстановить|отправить|закрыть|исправить|обновить"
        ),
        "a": _phrases(
            "с опозданием|с ошибкой|без ответа|не полностью|слишком дорого|недоступно|уже оплачено|"
            "без изменений|в порядке"
        ),
        "c": _phrases("Тверь|Псков|Рязань|Калуга|Вологда|Самара|Пермь|Тула"),
    },
    compounds=patterns("{h} ({c})\n{h}, {h}\n{h} № {o}\n{h} от {d}"),
    mail=patterns("""
Прошу вас {v} следующее: {n}, номер {o}, дата {d}.
С {d} всё {a}: сначала {n}, потом {n}.
По документу от {d} сумма составляет {m}, а списано {m}.
В офисе ({c}) в {t} обещали {v} и {v}, но до сих пор {a}.
Тема «{n}» для {p} передана специалисту, ответ будет до {d}.
Во вложении: {n}, {n} и фотография {p}.
"""),
    talk=patterns("""
Здравствуйте, нужно {v}: {n}
номер {o}
Одну минуту, попробую {v}
{n} {a} с {d}
Это стоит {m}
спасибо большое! \N{SMILING FACE WITH SMILING EYES}
"""),
    subjects=patterns("{n} {o}: {a}\nПросьба {v}: {n}\n{p}, {n}"),
    greetings=patterns("Здравствуйте!\nДобрый день,"),
    closings=patterns("С уважением,\nЗаранее благодарю,"),
    first_names=_phrases(
        "Ольга/Olga|Дмитрий/Dmitri|Наталья/Natalya|Сергей/Sergei|Юлия/Yulia|Фёдор/Fyodor|Вера/Vera"
    ),
    last_names=_phrases(
        "Лебедь/Lebed|Гончар/Gonchar|Коваль/Koval|Зимних/Zimnikh|Шевчук/Shevchuk|Мороз/Moroz"
    ),
)

JAPANESE = Tongue(
    code="ja",
    weight=4,
    words={
        "h": _phrases(
            "請求書|契約内容|配送日|返金手続き|修理|領収書|予約|暗証番号|保証期間|料金|引っ越し|解約|"
            "注文|部品交換|明細|住所変更|設定|通信障害|割引"
        ),
        "v": _phrases("確認|変更|再送|取消|延長|登録|交換|説明|停止|更新|送付"),
        "a": _phrases("まだ届かない|間違っている|高すぎる|止まっている|遅れている|完了した|不明な"),
        "c": _phrases("松山|仙台|長野|金沢|奈良|函館|高知"),
    },
    compounds=patterns("{h}と{h}\n{c}の{h}\n{h}{o}\n{d}の{h}"),
    mail=patterns("""
{d}の{n}について、{v}をお願いいたします(番号{o})。
{p}の{n}が{a}ため、{n}を{v}していただけますか。
{m}のはずですが、{d}に{m}が引き落とされました。
{c}の窓口では{t}に{v}すると伺いましたが、{a}状況です。
添付の{n}と{n}をご覧ください。
"""),
    talk=patterns("""
こんにちは、{n}を{v}したいのですが
番号は{o}です
少々お待ちください、{n}を{v}します
{d}から{a}みたいです
{m}になります
ありがとうございました \N{PERSON BOWING DEEPLY}
"""),
    subjects=patterns("{n}の{v}について({o})\n{p}の{n}\n【至急】{n}が{a}件"),
    greetings=patterns("お世話になっております。\nご担当者様"),
    closings=patterns("よろしくお願いいたします。\n敬具"),
    first_names=_phrases("花子/Hanako|健太/Kenta|美咲/Misaki|大輔/Daisuke|結衣/Yui|翔/Sho"),
    last_names=_phrases(
        "佐藤/Sato|高橋/Takahashi|渡辺/Watanabe|小林/Kobayashi|森/Mori|藤田/Fujita"
    ),
)
