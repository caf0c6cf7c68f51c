package platform

// serialize waits until all before it is done and forgets what was fetched
// ahead. Code that was written through another mapping needs that (AMD APM
// volume 2 §7.6.1, Intel SDM volume 3A §8.1.3); Zen 5 is seen to execute what
// was there before.
func serialize()
