// Package events holds the Go types and decoders for every event that ekspedite sees, and the table that says what each
// one means, who sends it and which function listens.
//
// There is one way in, [Decode], and one table, [Contracts]. A new event is one entry in the table, one sample in
// events/samples and one schema in events/schemas; the tests fail until all three are there.
//
// The bytes as received stay the truth. A typed payload is a reading of [Envelope.Detail], never a replacement for it:
// fields that no type here knows survive [Event.Encode], so that a message can be forwarded, deferred or dead-lettered
// without loss.
package events
