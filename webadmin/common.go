package webadmin

import (
	"net/http"
)

// This file has the pages that belong to no realm.

// everybody may see what shows nothing but what the pages have of themselves.
func everybody(*call) bool { return true }

func commonPages() []*page {
	return []*page{
		{path: "Preferences", title: "Preferences", may: everybody, get: (*call).preferencesPage, post: map[string]func(*call) error{"update": (*call).setPreferences}},
		{path: totpPath, title: "Two-Step Login", may: everybody, get: (*call).totpPage, post: map[string]func(*call) error{"enrol": (*call).enrolTOTP, "reset": (*call).dropTOTP}},
		{path: "Menu", title: "Menu", may: everybody, get: (*call).menuPage},
	}
}

// menuPage is the navigation as a page, for narrow screens without the script.
func (c *call) menuPage() error {
	return c.show(http.StatusOK, "menu", c.T("Menu"), c.navigation(true))
}
