package webadmin

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"

	"gatepost/server/dataformat"
)

//go:embed catalogue
var catalogueFiles embed.FS

// catalogues are the texts of a language by their English, of all files that begin with its code. English has none.
var catalogues = sync.OnceValues(func() (map[string]map[string]string, error) {
	ru := map[string]string{}
	files, err := fs.Glob(catalogueFiles, "catalogue/ru*.data")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		b, err := catalogueFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		v, err := dataformat.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		d, _ := v.(dataformat.Dict)
		for en := range maps.Keys(d) {
			if ru[en] == "" { // a test finds what is in two files
				ru[en] = d.String(en)
			}
		}
	}
	return map[string]map[string]string{"en": {}, "ru": ru}, nil
})

// translate returns a text in a language; one that nobody has translated is shown in English.
func translate(language, text string, args ...any) string {
	all, err := catalogues()
	if err == nil {
		if t := all[language][text]; t != "" {
			text = t
		}
	}
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	return text
}

// T is a text in the language of who asks. Its arguments are those of Sprintf.
func (c *call) T(text string, args ...any) string { return translate(c.prefs.Language, text, args...) }

// countWords are words whose form follows a number: English has one and other, Russian one, few and many.
var countWords = map[string][3]string{
	"setting": {"настройка", "настройки", "настроек"}, "account": {"учётная запись", "учётные записи", "учётных записей"},
	"alias": {"псевдоним", "псевдонима", "псевдонимов"}, "forwarder": {"переадресация", "переадресации", "переадресаций"},
	"day": {"день", "дня", "дней"}, "thing": {"вещь", "вещи", "вещей"},
	"subscriber": {"подписчик", "подписчика", "подписчиков"}, "list": {"рассылка", "рассылки", "рассылок"},
	"group":  {"группа", "группы", "групп"},
	"domain": {"домен", "домена", "доменов"}, "message": {"сообщение", "сообщения", "сообщений"},
	"change": {"изменение", "изменения", "изменений"}, "record": {"запись", "записи", "записей"}, "line": {"строка", "строки", "строк"},
	"mailbox": {"папка", "папки", "папок"}, "recipient": {"получатель", "получателя", "получателей"},
	"more setting": {"ещё настройка", "ещё настройки", "ещё настроек"}, "file": {"файл", "файла", "файлов"},
}

// count is a number with its word in the right form.
func count(language string, n int, word string) string {
	if language == "ru" {
		w := countWords[word]
		form := w[2]
		switch {
		case n%100 >= 11 && n%100 <= 14:
		case n%10 == 1:
			form = w[0]
		case n%10 >= 2 && n%10 <= 4:
			form = w[1]
		}
		if more, ok := strings.CutPrefix(form, "ещё "); ok {
			return fmt.Sprintf("ещё %d %s", n, more)
		}
		return fmt.Sprintf("%d %s", n, form)
	}
	switch {
	case n == 1:
	case strings.HasSuffix(word, "ias"):
		word += "es"
	case strings.HasSuffix(word, "box"):
		word += "es"
	default:
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
