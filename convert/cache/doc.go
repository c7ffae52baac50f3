// Package cache keeps what is dear to make and cheap to name: packed segments
// and the indexes of layers, by keys that stand for everything they are made of.
//
//	store, err := cache.Open(dir, limit)
//	defer store.Close()
//	data, ok := store.Get(cache.Segments, key, nil)
//	store.Put(cache.Segments, key, data)
//
// A cache may lose any entry at any time, be shared by several processes, and
// lie on a disk that is full or damaged: an entry is checked against its own
// checksum and key each time it is read, what fails is removed and counts as
// missing, and what cannot be kept is not. So nobody has to handle its errors,
// and no result depends on it. It knows nothing of what it keeps.
package cache
