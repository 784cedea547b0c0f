// Package quietnode stops jsii from printing a banner about the age of node, which is not the business of whoever runs a
// synthesis. It is imported for its effect.
//
// The effect has to come before jsii's packages are initialised: they keep a copy of the environment from that moment,
// for the node process which they start later; main would be too late. Go initialises packages in the order of their
// import paths as far as their imports allow. This one needs nothing but os, and jsii needs os/exec, which comes later
// than both.
package quietnode

import "os"

func init() {
	_ = os.Setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20") // where it fails, the banner shows
}
