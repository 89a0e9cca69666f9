package pwd

import (
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// fileCommands are those about the file storage of accounts.
var fileCommands = []command{
	{"LISTSTORAGEFILES", "acct [PATH path] [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.StorageFiles(c, c.name("acct"), c.name("auth"), c.args.word("path")))
	}},
	{"GETSTORAGEFILEINFO", "acct [PATH path] [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return valueOf(c.actor.StorageInfo(c, c.name("acct"), c.name("auth"), c.args.word("path")))
	}},
	{"READSTORAGEFILE", "acct FILE file [OFFSET #offset] [SIZE #size] [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return valueOf(c.actor.ReadStorageFile(c, c.name("acct"), c.name("auth"), c.args.word("file"), int64(c.args.number("offset")), int64(c.args.number("size"))))
	}},
	{"WRITESTORAGEFILE", "acct FILE file [OFFSET #offset] [BEG] [END] [NEW] [AUTH auth] DATA <data>", func(c *call) (dataformat.Value, error) {
		at := admin.Where{New: c.args.has("NEW"), End: c.args.has("END"), Part: c.args.has("BEG") || c.args.has("offset"), Offset: int64(c.args.number("offset"))}
		var data []byte
		switch v := c.args.values["data"].(type) {
		case dataformat.Data:
			data = v
		case dataformat.String:
			data = []byte(v)
		default:
			return nil, fault.New("pwd.WriteStorageFile", fault.Invalid, "DATA is a data block")
		}
		return nil, c.actor.WriteStorageFile(c, c.name("acct"), c.name("auth"), c.args.word("file"), at, data)
	}},
	{"RENAMESTORAGEFILE", "acct FILE file INTO new [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameStorageFile(c, c.name("acct"), c.name("auth"), c.args.word("file"), c.args.word("new"))
	}},
	{"GETSTORAGEFILEACL", "acct [PATH path] [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.StorageACL(c, c.name("acct"), c.name("auth"), c.args.word("path")))
	}},
	{"SETSTORAGEFILEACL", "acct [PATH path] [AUTH auth] {acl}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetStorageACL(c, c.name("acct"), c.name("auth"), c.args.word("path"), c.args.dict("acl"))
	}},
	{"DELETESTORAGEFILE", "acct FILE file [AUTH auth]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteStorageFile(c, c.name("acct"), c.name("auth"), c.args.word("file"))
	}},
}
