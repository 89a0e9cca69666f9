package autoconfig

const (
	notAnAddress = "This is not a mail address."
	notOurDomain = "This is not an address of this server."
)

// russian has the texts of the page by their English ones.
var russian = map[string]string{
	"Set up your programs": "Настройка программ",
	"Your mail address":    "Ваш почтовый адрес",
	"Show my settings":     "Показать настройки",
	"The profile sets up mail, calendars and contacts at once; you are asked for the password. Open it on the device, then install it in Settings: Profile Downloaded.": "Профиль настраивает сразу почту, календари и контакты; пароль будет спрошен. Откройте его на устройстве и установите в Настройках: «Профиль загружен».",
	"Download the profile":                          "Скачать профиль",
	"Or point the camera of the phone at the code.": "Или наведите на код камеру телефона.",
	"QR code with the address of the profile":       "QR-код с адресом профиля",
	"Mail": "Почта",
	"Thunderbird, Outlook and most other programs find these settings by your address and password alone.": "Thunderbird, Outlook и большинство других программ находят эти настройки сами: им достаточно адреса и пароля.",
	"Protocol":   "Протокол",
	"Server":     "Сервер",
	"Port":       "Порт",
	"Security":   "Защита",
	"User name:": "Имя пользователя:",
	"The server offers no mail programs a connection from where you are.": "Из вашей сети почтовые программы к серверу не подключаются.",
	"Calendars and contacts": "Календари и контакты",
	"Programs find all of them by this address (in DAVx5: Login with URL and user name):": "По этому адресу программы находят их все (в DAVx5: «Вход по URL и имени пользователя»):",
	"Your calendar": "Ваш календарь",
	"Your contacts": "Ваши контакты",
	notAnAddress:    "Это не почтовый адрес.",
	notOurDomain:    "Такого адреса на этом сервере нет: домен чужой.",
}

func translator(lang string) func(string) string {
	return func(text string) string {
		if own := russian[text]; lang == "ru" && own != "" {
			return own
		}
		return text
	}
}
