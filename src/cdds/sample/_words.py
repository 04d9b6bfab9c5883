"""The English vocabulary of the sentences, wide enough that deflate cannot learn it by heart.

Place: raw material of `_prose`. It refuses to be a corpus: single words and patterns only.
"""


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


NOUNS = _split("""
    account address adjustment agreement alarm allowance answer antenna appliance application
    appointment approval archive arrangement arrival article assessment assistant attempt backup
    balance bandwidth bank barcode basket battery bill bonus booking boiler booklet box bracket
    branch brochure browser budget bundle button cable calculator calendar camera campaign
    cancellation cartridge catalogue certificate chair change channel charge charger checkout claim
    clause cleaner clock code collection colour comment commission compartment complaint
    component compressor concern condition confirmation connection connector consent console
    consultation consumption contract contribution control conversation copy corner correction
    coupon courier coverage credential credit crossing cupboard currency customer cycle damage
    database deadline debit deduction defect delay delivery department deposit description desk
    detergent device dialogue difference directory discount discrepancy dishwasher dispatch
    display dispute document door download draft drawer driver duplicate edition email engine
    engineer enquiry entitlement envelope equipment error estimate exchange expense expiry
    explanation extension fabric family fault feature fee feedback fibre figure filter firmware
    fixture flight folder footage form formula frame freezer fridge fuse garage garden gateway
    gift glass goodwill guarantee guidance handle handset headset heater helpline hinge holiday
    hotline household identity image incident increase inspection installation instalment
    instruction insurance interface interruption inventory invoice item journey kettle key
    keyboard kitchen label lamp landlord laptop leaflet lease ledger lens letter licence limit
    line link list loan location lock log login loyalty machine magazine mailbox manager manual
    margin material mattress measurement meeting member memo message meter method microphone
    mistake modem module monitor mortgage motor mount notebook notice number nozzle occasion offer
    office operator option order outage outlet overdraft owner package page panel paperwork parcel
    parking partner passenger passport password patience payment payroll penalty pension period
    permission phone photograph picture pipe plan platform plug policy portal portion position
    postage postcode preference premium price printer priority problem procedure profile
    programme promise proof property proposal provider pump purchase quantity quarter query
    question quotation radiator rate reading reason rebate receipt recipient record recovery
    reduction reference refund region registration reimbursement relay reminder remote renewal
    rental repair replacement report representative request reservation residence resolution
    response result return review reward roaming room router routine saddle safeguard salary
    sample schedule scheme screen screw seal season seat security segment sensor sequence serial
    server service session setting settlement shelf shipment shipping signal signature site
    slot socket software solution speaker spreadsheet stand standard statement station storage
    street subscription suggestion suitcase summary supervisor supplier supply support surcharge
    survey switch symptom system table tablet tariff tax team technician television template
    tenancy terminal terms test thermostat ticket tile timetable title token tool track traffic
    transaction transfer transition traveller tray trial trip tyre umbrella uniform unit update
    upgrade usage valve van vehicle vendor version visit volume voucher waiver wardrobe warehouse
    warranty washer website weekend weight wheel window workshop wrapper yard zip zone
""")

VERBS = _split("""
    accept access activate add adjust advise allocate amend apply approve arrange assess assign
    attach authorise block book calculate call cancel change charge check clarify clean close
    collect compare complete confirm connect consider contact convert copy correct credit
    deactivate deduct delete deliver describe detect disable discuss dispatch display divide
    download duplicate edit enable enter escalate estimate examine exchange exclude explain export
    extend fetch file find finish fix follow forward freeze handle help identify ignore import
    include increase inform inspect install investigate issue join keep label launch link list
    locate lock lower maintain manage match measure mention merge modify monitor move notify
    obtain offer open order organise overlook pack pause pay pick postpone prepare print process
    produce provide publish quote reach read rebook recalculate receive recommend reconnect record
    recover redirect reduce refer refund refuse register reinstate reject release reload remove
    renew repair repeat replace report request rescan reschedule reserve reset resolve restart
    restore retrieve return reverse review revise save schedule search select send separate settle
    share ship show sign split stop store submit suspend switch synchronise test trace track
    transfer translate trust understand unlock unsubscribe update upgrade upload use validate
    verify view wait waive withdraw
""")

ADJECTIVES = _split("""
    accurate additional affected alternative annual appropriate automatic available basic better
    blank blue brief broken careful cheap clear commercial common compatible complete complicated
    confidential confusing constant correct corporate cracked current damaged daily defective
    delayed detailed different digital direct domestic double duplicate earlier electric empty
    enclosed entire exact exceptional expected expensive expired external faulty final first flat
    foreign formal former free frequent full general generous genuine good green helpful hidden
    high household immediate important incomplete incorrect independent individual initial inner
    instant intermittent internal international invalid large late latest leaking left limited
    local long loose lost loud main manual mechanical minor misleading missing mobile modern
    monthly narrow national necessary new noisy normal obvious odd official old online open
    optional original outdated outer outstanding overdue partial particular pending permanent
    personal physical plain plastic polite poor possible postal preferred premium preliminary
    previous prompt proper provisional public quarterly quick quiet random rapid ready reasonable
    recent red regional regular related relevant reliable remaining remote repeated right rough
    safe satisfactory scratched second secure separate serious sharp short silent similar simple
    single slow small spare special specific standard steady strange stuck sudden suitable
    temporary thorough tidy total unexpected unknown unpaid unreadable unusual urgent useful usual
    valid verbal warm weekly white wireless wrong yearly yellow
""")

ADVERBS = _split("""
    again already apparently automatically briefly carefully clearly completely constantly
    correctly eventually exactly finally frankly fully generally gladly immediately incorrectly
    kindly lately mostly naturally nearly obviously occasionally once originally partly perhaps
    personally politely possibly presumably previously probably promptly properly quickly quietly
    rarely really recently regularly repeatedly roughly safely separately shortly simply slightly
    slowly smoothly sometimes somehow suddenly surely temporarily thankfully today together
    tomorrow tonight twice unexpectedly unfortunately urgently usually yesterday
""")

PLACES = _split("""
    Aldermoor Ashgrove Barnwick Bellhaven Birchford Bramcote Brightwater Calderstone Carrow
    Clearbrook Coldbeck Crosswell Dunmere Eastleach Elmstead Fairholm Fenwater Glenarrow Greyport
    Halden Harrowgate Hazelbrook Hollowell Inverlea Kestrel Kingsmere Langdale Larkhill Lindenau
    Lowmoor Marlbridge Millbrook Netherby Northolme Oakhurst Otterburn Pinewood Quarrybank Ravenscar
    Redmarsh Rosewick Saltburn Sandhaven Silverdale Stonebury Swanlake Thornby Tidewell Upminster
    Valemont Westering Whitcombe Willowdene Wyndham Yarrowfield
""")

SYLLABLES = _split("""
    ar bel bra cal cor dal den dor el en fal fen gar gel hal hel im jo kal ker lan lo lu mar mel mi
    nar nel no or pa pel qui ran ri ro sal sen sil so tal ten ti tor ul va vel vi wen xa ya zen zo
""")

BRANDS = _split("ic ix on us a o ex um is ero ara ista ent or line max net desk flow ware")
