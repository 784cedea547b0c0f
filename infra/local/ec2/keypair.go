package ec2

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// keyPair is an SSH key that instances let in.
type keyPair struct {
	record
	name, typ   string // rsa or ed25519
	fingerprint string
	public      string // as in authorized_keys
}

type createKeyIn struct {
	DryRun            bool
	KeyName           string
	KeyType           string
	KeyFormat         string
	PublicKeyMaterial string    // ImportKeyPair's: base64 of authorized_keys' line
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type createKeyOut struct {
	ID          string `xml:"keyPairId"`
	Name        string `xml:"keyName"`
	Fingerprint string `xml:"keyFingerprint"`
	Material    string `xml:"keyMaterial,omitempty"`
	Tags        []tag  `xml:"tagSet>item"`
}

type keyIn struct {
	DryRun  bool
	ID      string `query:"KeyPairId"`
	KeyName string
}

type deleteKeyOut struct {
	Return bool   `xml:"return"`
	ID     string `xml:"keyPairId,omitempty"`
}

type describeKeysIn struct {
	DryRun           bool
	Names            []string `query:"KeyName"`
	IDs              []string `query:"KeyPairId"`
	Filters          []filter `query:"Filter"`
	IncludePublicKey bool
}

type keyXML struct {
	ID          string     `xml:"keyPairId"`
	Name        string     `xml:"keyName"`
	Type        string     `xml:"keyType"`
	Fingerprint string     `xml:"keyFingerprint"`
	Public      string     `xml:"publicKey,omitempty"`
	Created     *wire.Time `xml:"createTime"`
	Tags        []tag      `xml:"tagSet>item"`
}

type describeKeysOut struct {
	Keys []keyXML `xml:"keySet>item"`
}

var keyFilters = filters[*keyPair]{
	"key-name":    one(func(k *keyPair) string { return k.name }),
	"key-pair-id": one(func(k *keyPair) string { return k.id }),
	"fingerprint": one(func(k *keyPair) string { return k.fingerprint }),
}

func (s *Service) keyOps() []wire.Op {
	creates := func(action string) func(in *createKeyIn) []wire.Need {
		return func(in *createKeyIn) []wire.Need {
			needs := s.creates(action, kindKey, in.TagSpecifications, map[string][]string{"ec2:KeyPairName": {in.KeyName}, "ec2:KeyPairType": {in.KeyType}})
			for i := range needs {
				needs[i].Resource = s.arn(kindKey.name, in.KeyName)
			}
			return needs
		}
	}
	return []wire.Op{
		handle("CreateKeyPair", creates("CreateKeyPair"), s.createKey),
		handle("ImportKeyPair", creates("ImportKeyPair"), s.importKey),
		handle("DescribeKeyPairs", nil, s.describeKeys),
		handle("DeleteKeyPair", func(in *keyIn) []wire.Need {
			id := in.ID
			if id == "" {
				id = s.keyID(in.KeyName)
			}
			if id == "" { // there is none of that name
				return []wire.Need{{Action: "ec2:DeleteKeyPair", Resource: s.arn(kindKey.name, in.KeyName)}}
			}
			return s.needs("ec2:DeleteKeyPair", id)
		}, s.deleteKey),
	}
}

// keyPair finds a key pair by name, or nil. The lock is held.
func (s *Service) keyPair(name string) *keyPair {
	for _, k := range all[*keyPair](s) {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (s *Service) keyID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keyPair(name); k != nil {
		return k.id
	}
	return ""
}

// HasKeyPair tells whether the account has a key pair of this name.
func (s *Service) HasKeyPair(name string) bool { return s.keyID(name) != "" }

func noKeyPair(name string) error {
	return wire.Errf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

// colons writes a digest as EC2 does: pairs of hex digits.
func colons(sum []byte) string {
	var b strings.Builder
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	return b.String()
}

// keep makes a key pair. The lock is held.
func (s *Service) newKey(k *keyPair, tags map[string]string) error {
	switch {
	case k.name == "":
		return missing("KeyName")
	case len(k.name) > 255:
		return invalid("Value (%s) for parameter keyName is invalid.", k.name)
	case s.keyPair(k.name) != nil:
		return wire.Errf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	s.add(kindKey, k, tags)
	return nil
}

func (s *Service) createKey(in *createKeyIn) (*createKeyOut, error) {
	tags, err := specTags(in.TagSpecifications, "key-pair")
	switch {
	case err != nil:
		return nil, err
	case in.KeyFormat != "" && in.KeyFormat != "pem":
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement KeyFormat %q", in.KeyFormat).WithStatus(501)
	}
	k := &keyPair{name: in.KeyName, typ: "rsa"}
	set(&k.typ, in.KeyType)
	material := ""
	switch k.typ {
	case "rsa":
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		sum := sha1.Sum(der) // EC2's fingerprint of a key that it made
		k.fingerprint = colons(sum[:])
		k.public = authorized("ssh-rsa", big.NewInt(int64(private.E)).Bytes(), append([]byte{0}, private.N.Bytes()...))
		material = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}))
	case "ed25519":
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		k.public = authorized("ssh-ed25519", public)
		k.fingerprint = sha256Print(k.public)
		material = openSSH(public, private, in.KeyName)
	default:
		return nil, invalid("Value (%s) for parameter keyType is invalid.", in.KeyType)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.newKey(k, tags); err != nil {
		return nil, err
	}
	return &createKeyOut{k.id, k.name, k.fingerprint, material, tagSet(k.tags)}, nil
}

// wireString is a string as SSH writes it: with its length before.
func wireString(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// authorized is a public key as a line of authorized_keys.
func authorized(algorithm string, parts ...[]byte) string {
	return algorithm + " " + base64.StdEncoding.EncodeToString(wireString(append([][]byte{[]byte(algorithm)}, parts...)...))
}

// openSSH is a private Ed25519 key in OpenSSH's own format, without a passphrase (PROTOCOL.key).
func openSSH(public ed25519.PublicKey, private ed25519.PrivateKey, comment string) string {
	const check = 0x656b7370 // any number, twice
	inner := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, check), check)
	inner = append(inner, wireString([]byte("ssh-ed25519"), public, private, []byte(comment))...)
	for i := byte(1); len(inner)%8 != 0; i++ {
		inner = append(inner, i)
	}
	b := append([]byte("openssh-key-v1\x00"), wireString([]byte("none"), []byte("none"), nil)...)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, wireString(wireString([]byte("ssh-ed25519"), public), inner)...)
	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: b}))
}

// sha256Print is the fingerprint of an Ed25519 key.
func sha256Print(line string) string {
	raw, _ := base64.StdEncoding.DecodeString(strings.Fields(line)[1]) // it is ours, or was decoded before
	sum := sha256.Sum256(raw)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *Service) importKey(in *createKeyIn) (*createKeyOut, error) {
	tags, err := specTags(in.TagSpecifications, "key-pair")
	switch {
	case err != nil:
		return nil, err
	case in.PublicKeyMaterial == "":
		return nil, missing("PublicKeyMaterial")
	}
	k, err := readKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	k.name = in.KeyName
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.newKey(k, tags); err != nil {
		return nil, err
	}
	return &createKeyOut{ID: k.id, Name: k.name, Fingerprint: k.fingerprint, Tags: tagSet(k.tags)}, nil
}

// readKey reads a public key in OpenSSH's form: RSA or Ed25519, which is all that EC2 takes.
func readKey(material string) (*keyPair, error) {
	bad := wire.Errf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	line, err := base64.StdEncoding.DecodeString(material)
	if err != nil {
		return nil, bad
	}
	fields := strings.Fields(string(line))
	if len(fields) < 2 {
		return nil, bad
	}
	raw, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return nil, bad
	}
	var parts [][]byte
	for rest := raw; len(rest) > 0; {
		if len(rest) < 4 || uint32(len(rest)-4) < binary.BigEndian.Uint32(rest) {
			return nil, bad
		}
		n := binary.BigEndian.Uint32(rest)
		parts, rest = append(parts, rest[4:4+n]), rest[4+n:]
	}
	k := &keyPair{public: fields[0] + " " + fields[1]}
	switch {
	case fields[0] == "ssh-ed25519" && len(parts) == 2 && len(parts[1]) == ed25519.PublicKeySize && bytes.Equal(parts[0], []byte(fields[0])):
		k.typ, k.fingerprint = "ed25519", sha256Print(k.public)
	case fields[0] == "ssh-rsa" && len(parts) == 3 && bytes.Equal(parts[0], []byte(fields[0])):
		public := &rsa.PublicKey{E: int(new(big.Int).SetBytes(parts[1]).Int64()), N: new(big.Int).SetBytes(parts[2])}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, bad
		}
		sum := md5.Sum(der) // EC2's fingerprint of a key that it was given
		k.typ, k.fingerprint = "rsa", colons(sum[:])
	default:
		return nil, bad
	}
	return k, nil
}

func (s *Service) describeKeys(in *describeKeysIn) (*describeKeysOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.Names {
		k := s.keyPair(name)
		if k == nil {
			return nil, noKeyPair(name)
		}
		in.IDs = append(in.IDs, k.id)
	}
	items, _, err := describe(s, kindKey, keyFilters, query{ids: in.IDs, filters: in.Filters})
	out := &describeKeysOut{}
	for _, k := range items {
		x := keyXML{ID: k.id, Name: k.name, Type: k.typ, Fingerprint: k.fingerprint, Created: wire.At(k.created), Tags: tagSet(k.tags)}
		if in.IncludePublicKey {
			x.Public = k.public
		}
		out.Keys = append(out.Keys, x)
	}
	slices.SortFunc(out.Keys, func(a, b keyXML) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// deleteKey succeeds for a name that there is not, as EC2 does.
func (s *Service) deleteKey(in *keyIn) (*deleteKeyOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var k *keyPair
	switch {
	case in.ID == "" && in.KeyName == "":
		return nil, missing("KeyName")
	case in.ID != "":
		var err error
		if k, err = get[*keyPair](s, kindKey, in.ID); err != nil {
			return nil, wire.Errf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", in.ID)
		}
	default:
		if k = s.keyPair(in.KeyName); k == nil {
			return &deleteKeyOut{Return: true}, nil
		}
	}
	s.remove(k)
	return &deleteKeyOut{true, k.id}, nil
}
