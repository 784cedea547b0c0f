// Package controlplane starts the real Kubernetes control plane behind an emulated EKS cluster, as a child process.
//
// The program is a Go module of its own, infra/local/kubernetes, so that the product's go.mod never sees Kubernetes.
// Binary builds it once into the user's cache folder; Start runs it. The child never outlives this process: it ends when
// the pipe on its standard input closes, whichever way this process ends.
package controlplane
