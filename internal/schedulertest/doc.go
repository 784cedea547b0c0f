// Package schedulertest holds a planner of nodes against the real kube-scheduler. It makes random problems, writes problems
// and solutions as Kubernetes objects, asks the scheduler's own filters about every placement, and makes what fails small.
// It is for tests only.
package schedulertest
