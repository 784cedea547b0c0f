package kubelet

import (
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotations by which a pod says how its containers are to behave. All are durations as Go writes them, such as 3s.
const (
	// AnnotationStartAfter is how long the containers take to start; 200 to 700 ms when absent.
	AnnotationStartAfter = "ekspedite.dev/start-after"
	// AnnotationReadyAfter is how long a started pod takes to become ready; at once when absent.
	AnnotationReadyAfter = "ekspedite.dev/ready-after"
	// AnnotationExitAfter is how long the containers take to exit after SIGTERM; 500 ms when absent.
	AnnotationExitAfter = "ekspedite.dev/exit-after"
	// AnnotationCompleteAfter makes the containers exit with 0 that long after each start.
	AnnotationCompleteAfter = "ekspedite.dev/complete-after"
	// AnnotationFailAfter makes the containers exit with 1 that long after each start.
	AnnotationFailAfter = "ekspedite.dev/fail-after"
)

const (
	defaultExitAfter = 500 * time.Millisecond
	// The real kubelet backs off from 10 s to 5 min. A demonstration has not that long; the doubling is kept.
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
)

// behaviour is how the containers of one pod act.
type behaviour struct {
	startAfter, readyAfter, exitAfter time.Duration
	// completeAfter and failAfter are negative when the containers run until they are told to stop.
	completeAfter, failAfter time.Duration
}

func behaviourOf(pod *corev1.Pod) behaviour {
	return behaviour{
		startAfter:    duration(pod, AnnotationStartAfter, startupOf(pod)),
		readyAfter:    duration(pod, AnnotationReadyAfter, 0),
		exitAfter:     duration(pod, AnnotationExitAfter, defaultExitAfter),
		completeAfter: duration(pod, AnnotationCompleteAfter, -1),
		failAfter:     duration(pod, AnnotationFailAfter, -1),
	}
}

// duration falls back where the annotation is no duration: a pod whose author mistyped should still run.
func duration(pod *corev1.Pod, annotation string, fallback time.Duration) time.Duration {
	d, err := time.ParseDuration(pod.Annotations[annotation])
	if err != nil || d < 0 {
		return fallback
	}
	return d
}

// startupOf spreads start-up times between 200 and 700 ms, the same for the same pod in every run.
func startupOf(pod *corev1.Pod) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(pod.UID))
	return 200*time.Millisecond + time.Duration(h.Sum32()%501)*time.Millisecond
}

func backoff(restarts int32) time.Duration {
	d := firstBackoff
	for i := int32(1); i < restarts && d < maxBackoff; i++ {
		d *= 2
	}
	return min(d, maxBackoff)
}
