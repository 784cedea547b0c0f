package s3

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
)

// nvme is the polynomial of CRC-64/NVME, reversed.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// algorithms compute the checksums that S3 knows, by the end of their header's name.
var algorithms = map[string]func([]byte) []byte{
	"Crc32": func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) },
	"Crc32c": func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	},
	"Crc64nvme": func(b []byte) []byte { return binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, nvme)) },
	"Sha1":      func(b []byte) []byte { sum := sha1.Sum(b); return sum[:] },
	"Sha256":    func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] },
}

const checksumPrefix = "X-Amz-Checksum-"

// checksums verifies the checksums that came with a body and returns the headers of those to keep. Without any, S3
// computes a CRC-64.
func (in *request) checksums() (http.Header, error) {
	sum := md5.Sum(in.body)
	if given := in.header.Get("Content-Md5"); given != "" {
		raw, err := base64.StdEncoding.DecodeString(given)
		if err != nil || len(raw) != md5.Size {
			return nil, fail(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		if string(raw) != string(sum[:]) {
			return nil, fail(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	keep := http.Header{}
	for name, compute := range algorithms {
		given := in.header.Get(checksumPrefix + name)
		if given == "" {
			continue
		}
		if given != base64.StdEncoding.EncodeToString(compute(in.body)) {
			return nil, fail(http.StatusBadRequest, "BadDigest", "The "+strings.ToUpper(name)+" you specified did not match the calculated checksum.")
		}
		keep.Set(checksumPrefix+name, given)
	}
	if len(keep) > 1 {
		return nil, fail(http.StatusBadRequest, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if len(keep) == 0 {
		keep.Set(checksumPrefix+"Crc64nvme", base64.StdEncoding.EncodeToString(algorithms["Crc64nvme"](in.body)))
	}
	keep.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	return keep, nil
}

func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
