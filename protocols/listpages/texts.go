package listpages

// russian has the texts of the pages by their English ones.
var russian = map[string]string{
	"Mailing lists of": "Списки рассылки",
	"There are no mailing lists that everybody may see.": "Списков рассылки, видимых всем, нет.",
	"Subscribe":                   "Подписаться",
	"Your mail address":           "Ваш почтовый адрес",
	"Your name (may be left out)": "Ваше имя (можно не указывать)",
	"What do you want to get?":    "Что вы хотите получать?",
	"Only the owner of the list subscribes people to it.":                                               "Подписывает только владелец списка.",
	"Leave, or change what you get":                                                                     "Отписаться или получать другое",
	"Each message of the list has a link for that in its header, which mail programs show as a button.": "В заголовке каждого письма списка есть ссылка для этого; почтовые программы показывают её кнопкой.",
	"Or write to":                "Или напишите на",
	"Questions":                  "Вопросы",
	"The owner of the list:":     "Владелец списка:",
	"Confirm":                    "Подтвердить",
	"Unsubscribe":                "Отписаться",
	"Save":                       "Сохранить",
	"Leave the list":             "Выйти из списка",
	"The page of the list":       "Страница списка",
	"Your choice is saved.":      "Ваш выбор сохранён.",
	"Get something else instead": "Получать вместо этого другое",
	"This address will get no more mail from the list:":                               "Этот адрес больше не будет получать писем списка:",
	"Mail to you came back, and you get no postings for now. Save to get them again.": "Письма к вам возвращались, и пока вы их не получаете. Сохраните, чтобы получать их снова.",

	"Archive":                        "Архив",
	"Log in":                         "Войти",
	"Log out":                        "Выйти",
	"Account":                        "Учётная запись",
	"Password":                       "Пароль",
	"Code":                           "Код",
	"Search":                         "Найти",
	"Search the archive":             "Поиск в архиве",
	"Latest":                         "Последние",
	"By month":                       "По месяцам",
	"Postings:":                      "Писем:",
	"Feed (Atom)":                    "Лента (Atom)",
	"Nothing was found.":             "Ничего не найдено.",
	"Earlier month":                  "Более ранний месяц",
	"Later month":                    "Более поздний месяц",
	"Previous page":                  "Предыдущая страница",
	"Next page":                      "Следующая страница",
	"Page":                           "Страница",
	"Attachments":                    "Вложения",
	"Thread":                         "Обсуждение",
	"for those who have logged in":   "для тех, кто вошёл",
	"Reply to the list":              "Ответить в список",
	"Open the archive":               "Открыть архив",
	"Manage the list":                "Управление списком",
	"Send me the link":               "Пришлите мне ссылку",
	"(no subject)":                   "(без темы)",
	"(unknown)":                      "(неизвестно)",
	"Go on with earlier postings":    "Искать дальше, в более ранних письмах",
	"Postings that were looked at:":  "Просмотрено писем:",
	"Nothing has been posted yet.":   "В список ещё ничего не писали.",
	"With an account of this server": "С учётной записью этого сервера",
	"As a subscriber from elsewhere": "Как подписчик с другим адресом",
	"The message is longer than what is shown here.":                                                "Здесь показано не всё письмо.",
	"The thread has more postings, which are on the pages of its months.":                           "В обсуждении есть и другие письма: они на страницах своих месяцев.",
	"Write the address that is subscribed. A link comes to it, on whose page you open the archive.": "Напишите подписанный адрес. На него придёт ссылка на страницу, с которой открывается архив.",

	"Settings":                         "Настройки",
	"Subscribers":                      "Подписчики",
	"Subscribers:":                     "Подписчиков:",
	"Import":                           "Импорт",
	"Export":                           "Экспорт",
	"Waiting":                          "Ожидают",
	"Waiting for you":                  "Ждут вашего решения",
	"Overview":                         "Обзор",
	"default":                          "по умолчанию",
	"Address or name":                  "Адрес или имя",
	"Mode":                             "Режим",
	"all modes":                        "все режимы",
	"posting:":                         "право писать:",
	"since":                            "с",
	"postings:":                        "писем:",
	"bounces:":                         "возвратов:",
	"paused":                           "приостановлен",
	"Posting":                          "Право писать",
	"as the list says":                 "как решено для списка",
	"each posting is to be approved":   "каждое письмо одобряет владелец",
	"no postings":                      "писать нельзя",
	"always, also on a moderated list": "всегда, и в модерируемый список",
	"end the subscription":             "закончить подписку",
	"With those that are chosen:":      "С выбранными:",
	"Do it":                            "Выполнить",
	"Nobody was found.":                "Никто не найден.",
	"Lines that were not taken":        "Непринятые строки",
	"And more:":                        "И ещё:",
	"Addresses":                        "Адреса",
	"Or a file":                        "Или файл",
	"Ask each address first":           "Сначала спросить каждый адрес",
	"Send no word of welcome":          "Не посылать приветствия",
	"All subscribers as a file":        "Все подписчики в файле",
	"Subscription":                     "Подписка",
	"Nothing waits.":                   "Ничего не ждёт.",
	"Waiting for you:":                 "Ждут вашего решения:",
	"Approve":                          "Одобрить",
	"Reject":                           "Отклонить",
	"Approve, and let the author post in future":   "Одобрить, и пусть автор пишет и дальше",
	"Reason (the author is told; may be left out)": "Причина (её узнает автор; можно не указывать)",
	"A field that is left empty has its default.":  "Пустое поле имеет значение по умолчанию.",
	"Addresses that were taken:":                   "Принято адресов:",
	"One line for each subscriber: an address; Name <address>; or address, name and mode with commas between them.": "По строке на подписчика: адрес; Имя <адрес>; или адрес, имя и режим через запятую.",

	chooseSomebody: "Выберите до 1000 подписчиков.",
	badCharset:     "Строка не в UTF-8 или слишком длинна.",
	badLineText:    "Строка не понята.",
	badMode:        "Такого режима нет.",

	codeNeeded:      "У этой учётной записи есть второй фактор: напишите и код.",
	badLogin:        "Имя, пароль или код неверны.",
	needsTLS:        "Без TLS пароль не принимается: откройте страницу с https://.",
	nobodyReads:     "Архив этого списка читает только его владелец.",
	subscribersRead: "Архив читают только подписчики списка.",
	closedPart:      "Это вложение с адресами видят те, кто вошёл.",
	badQuery:        "Напишите от одного до десяти слов.",
	linkText:        "Если этот адрес подписан, на него послана ссылка. Второй раз за час она не посылается.",

	modeTexts[0]: "Каждое письмо сразу",
	modeTexts[1]: "Дайджесты: много писем в одном",
	modeTexts[2]: "Оглавления",
	modeTexts[3]: "Ничего; я только пишу в список",

	whoModerated: "Владелец списка решает о каждой подписке.",
	whoDomain:    "Подписаться могут только пользователи этого домена.",
	whoLocals:    "Подписаться могут только пользователи этого сервера.",

	askedText:    "Если список принимает этот адрес и он ещё не подписан так, на него послано письмо. Подписка начнётся, когда вы на него ответите. Если ничего не пришло за час, посмотрите в папке для спама; второй раз тот же адрес сейчас не спрашивают.",
	tooOften:     "С вашего компьютера пришло слишком много просьб. Попробуйте через час.",
	noQuestion:   "На этот вопрос уже ответили, или он слишком стар. Попросите ещё раз.",
	noSecret:     "По этой ссылке никто не подписан. Возможно, подписка уже закончилась.",
	leftText:     "Подписка закончилась. Писем списка больше не будет.",
	doneText:     "Готово.",
	waitsText:    "Теперь решает владелец списка. Вы получите письмо.",
	resumedText:  "Вы снова получаете письма списка.",
	ownerOnly:    "Это может сделать только владелец списка.",
	askSubscribe: "Этот адрес будет подписан на список:",
	askLeave:     "Этот адрес больше не будет получать писем списка:",
	askResume:    "Этот адрес снова будет получать письма списка:",
	askOwner:     "Принять то, что ждёт вашего решения:",
	chooseMode:   "Выберите, что вы хотите получать.",
}

// The texts that the code shows; the others stand in the templates.
const (
	whoModerated = "The owner of the list decides about each subscription."
	whoDomain    = "Only users of this domain may subscribe."
	whoLocals    = "Only users of this server may subscribe."

	askedText = "If the list takes this address, and it is not subscribed so already, a message is on its way to it. The subscription begins when you answer that message. " +
		"If nothing comes within an hour, look in the folder for junk mail; the same address is not asked twice now."
	tooOften     = "Too many requests have come from your computer. Try again in an hour."
	noQuestion   = "This question is answered already, or it is too old. Please ask again."
	noSecret     = "Nobody is subscribed with this link. Perhaps the subscription has ended already."
	leftText     = "The subscription has ended. No more mail comes from the list."
	doneText     = "It is done."
	waitsText    = "The owner of the list decides now. You will get a message."
	resumedText  = "You get the postings of the list again."
	ownerOnly    = "Only the owner of the list may do that."
	askSubscribe = "This address will be subscribed to the list:"
	askLeave     = "This address will not get mail of the list any more:"
	askResume    = "This address will get the postings of the list again:"
	askOwner     = "Accept what waits for your decision:"
	codeNeeded   = "The account has a second factor: write the code, too."
	badLogin     = "The name, the password or the code is wrong."
	needsTLS     = "No password is taken without TLS: open the page with https://."
	nobodyReads  = "Only the owner of the list reads its archive."
	closedPart   = "The attachment has addresses of people, and is for those who have logged in."
	badQuery     = "Write one to ten words."
	linkText     = "If the address is subscribed, the link is on its way to it. It is not sent twice within an hour."

	chooseSomebody = "Choose up to 1,000 subscribers."
	badCharset     = "The line is not in UTF-8, or too long."
	badLineText    = "The line is not understood."
	badMode        = "There is no such mode."

	subscribersRead = "Only subscribers read the archive of the list."

	chooseMode = "Choose what you want to get."
)

// modeTexts are the modes that people choose, in the order of modes.
var modeTexts = [...]string{"Each posting at once", "Digests: many postings in one message", "Tables of contents", "Nothing; I only write to the list"}

// russianMonths are the months in Russian.
var russianMonths = [...]string{"январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"}
