// Package objectmeta gives stored objects their metadata (name, times, fields without a column)
// and an ID that can be shown: clients see the row with key 23 as secret-tjd9od, and only the key
// is stored.
//
//	type SecretKind struct{}
//
//	var secretIDs objectmeta.Codec // set by main: objectmeta.NewHasher("secret", secretFromConfig)
//
//	func (SecretKind) InstanceIDs() objectmeta.Codec { return secretIDs }
//
//	type Secret struct {
//		objectmeta.ObjectMeta[SecretKind] `json:"metadata"`
//		Username string `json:"username" gorm:"column:username"`
//	}
//
// In the program and in the database Secret.ID is an integer that the database counts up. In
// JSON, URLs, flags and logs it is text, and [ParseID] is the way back:
// objectmeta.ParseID[SecretKind](text). That needs no second column, no unique index, no hook and
// no second write, and works alike with GORM, sqlx, ent or database/sql; none of them is
// imported.
//
// # Which codec
//
//	a new service                                      NewHasher
//	codes of go-hashids are out there                  NewHashids
//	the same, but rows from now on should be hidden    NewBridge
//
// When IDs need not be short, or clients are to make them, a UUID in the row may serve better
// than this package.
//
// # How a code is made
//
// Take the first 36^6 keys, 0 to 2,176,782,335. There are just as many codes of six characters of
// 0-9a-z. A [Hasher] shuffles these keys like a pack of cards, in an order that only the holder
// of the secret can tell. A key's code is its place in the shuffled pack, written in those 36
// digits. With the kind secret and the secret x20k5x:
//
//	key     1       secret-zpmsxh
//	key     2       secret-tm756v
//	key     3       secret-6hovlb
//
// Two keys never share a place, so two rows never share a code: there is nothing to check and
// nothing to store. With the secret the shuffle can be undone: that is Decode. Key 2,176,782,336
// starts a second pack, with seven characters, and so on; 13 characters hold every uint64.
//
// To shuffle a set onto itself under a secret is called format-preserving encryption: what comes
// out has the form of what went in, while AES alone would make 128 bits of it, a code of 25
// characters. The method here is FF1 of NIST Special Publication 800-38G,
// https://doi.org/10.6028/NIST.SP.800-38G: ten rounds, in each of which one half of the digits is
// added to what AES makes of the other half. The tests hold it to the samples that NIST
// publishes. The kind goes into it as well (the standard calls that the tweak), so each kind has
// packs, and shuffles, of its own.
//
// # What is hidden, and what is not
//
// Hidden from anyone who does not have the secret:
//   - the key, hence how many rows there are and how fast they grow;
//   - which of two objects was made first, and which code comes next;
//   - whether two objects of different kinds have the same key.
//
// Not hidden:
//   - the kind, which stands in front;
//   - that two codes are equal, hence are the same object;
//   - the order of magnitude: seven characters are a key above two billion.
//
// An instance ID is a name, not a permission. Every code of six to twelve characters is that of
// some key, even if it was mistyped, guessed or made up. With a million rows, one in about two
// thousand random codes of six characters is that of a row. So always look the row up, and always
// check that the caller may see it.
//
// # The secret
//
// The secret makes your shuffle differ from everyone else's. Whoever has it can turn codes into
// keys and keys into codes. They can do nothing else with it, but then nothing above is hidden any
// more. Make it once, from 32 random bytes: a word that can be guessed can be confirmed by a single
// code whose key is known. What openssl rand -hex 32 prints is the secret as it stands, so do not
// decode it. Keep it where the database's password is kept, and give it to all instances of the
// service. All kinds can share it. Test and production should not.
//
// Never change it, nor the kind, nor MinLength. Codes are not stored but computed, so with
// another secret all of them change at once: in bookmarks, in other services, in logs. Worse, the
// old ones still decode, without an error, to the keys of other objects. Rotating it gains
// nothing: access does not depend on it. To be safe from accidents, keep the code of one key
// beside the secret, and compare when the service starts; the example of [Hasher.Encode] does.
//
// # Moving from stored hashids
//
// A service that stores codes of go-hashids in a column, as iam (github.com/marmotedu/iam) does,
// gets rid of the column and of the second write one deployment at a time. In each of them the
// old and the new version can run side by side.
//
//  1. Build a [Hashids] with the old alphabet, salt and length for each kind; the defaults are
//     iam's. Check it against the table: Encode of every id must be what the column says. If not,
//     a setting differs.
//  2. Deploy a version that has ObjectMeta with this codec in its structs: it finds rows by
//     ParseID and their key, and no longer reads the column. It still writes the column, for the
//     instances of the version before.
//  3. When all instances run it, let the column accept NULL, drop its unique index, and deploy a
//     version without the hook that writes it. When all instances run that one, drop the column.
//     (A connection to PostgreSQL that has prepared a SELECT * fails it once then: choose a quiet
//     hour.) Clients have seen no change so far, and the second write is gone. You may stop here.
//  4. To hide the rows to come, choose lastLegacyID: a key that no row will reach before all
//     instances run the version of step 5. Too high, and more rows than needed keep codes that
//     hide nothing; too low, and the codes of some rows change. With iam's settings 7,962,623,
//     the greatest with a code of six characters, is a good choice as long as the table is far
//     from it.
//  5. Build a Hasher whose codes start one character longer than the code of lastLegacyID, with
//     NewHasher("secret", secret, MinLength(7)), and deploy NewBridge(legacy, 7962623, hasher) as
//     the codec. [NewBridge] refuses lengths at which an old and a new code could meet, and says
//     which MinLength to take.
//
// Rows up to lastLegacyID keep their codes, so every reference to them stays good; later ones are
// hidden. The bridge and lastLegacyID must never change.
//
// # With a database
//
// The zero [ID] is an object that is not stored yet: 0 in a query, left out of the JSON of
// [ObjectMeta], and never the result of ParseID. The codecs do have a code for 0, since they know
// numbers and not rows; ParseID refuses it.
//
// GORM lets the database number a row whose primary key is zero. In plain SQL, leave the column
// out of the INSERT. A column for the ID of another object is NOT NULL, or its field is a *ID[K]
// or a sql.Null[ID[K]]: the zero ID is written as 0, which no row has, so a foreign key would
// refuse it.
//
// Call [ObjectMeta.ClearServerFields] on what comes from a client before it is written, and
// [ValidateName] on its name. Give lists page by page, with [Keyset] or [ListOptions].
//
// GORM creates the columns from the tags of ObjectMeta. Since there is no hook, its transaction
// around each insert can be switched off (SkipDefaultTransaction), which saves two round trips.
// Three things are as everywhere in GORM. Updates with a struct writes the fields that are not
// zero, Extend as a whole. Where with a struct leaves out a zero ID. And a row that has NULL in a
// column leaves the variable's field as it was, so load into an empty one.
//
// # Decoders
//
// These refuse an integer and take an instance ID only: encoding/json and what replaces it (goccy,
// sonic, json-iterator), encoding/xml, flag.TextVar, gin, echo, gorilla/schema, YAML, TOML and
// MessagePack.
//
// A decoder that looks only at the kind of a type sees a uint64 in an [ID] and takes the integer,
// so one=5 is the ID 5. For data from clients, tell it about each kind. go-playground/form:
//
//	decoder.RegisterCustomTypeFunc(func(v []string) (any, error) {
//		return objectmeta.ParseID[SecretKind](v[0])
//	}, objectmeta.ID[SecretKind](0))
//
// mapstructure, of which TextUnmarshallerHookFunc mends strings alone:
//
//	config.DecodeHook = func(_, to reflect.Type, v any) (any, error) {
//		if to != reflect.TypeFor[objectmeta.ID[SecretKind]]() {
//			return v, nil
//		}
//		return objectmeta.ParseID[SecretKind](fmt.Sprint(v))
//	}
//
// CBOR, BSON and encoding/gob carry the integer both ways. That is right in a database and between
// your own processes. For clients, declare the field as a string, and call String and ParseID.
package objectmeta
