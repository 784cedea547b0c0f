package eks

import (
	"net/http"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func invalidParameter(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("InvalidParameterException", format, args...), cluster, "")
}

func invalidRequest(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("InvalidRequestException", format, args...), cluster, "")
}

func inUse(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("ResourceInUseException", format, args...), cluster, "").WithStatus(http.StatusConflict)
}

func notFound(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("ResourceNotFoundException", format, args...), cluster, "").WithStatus(http.StatusNotFound)
}

func limitExceeded(cluster, format string, args ...any) *wire.Error {
	return named(wire.Errf("ResourceLimitExceededException", format, args...), cluster, "")
}

// unsupported is for what EKS has and the embedded cloud has not.
func unsupported(format string, args ...any) *wire.Error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement "+format, args...).WithStatus(http.StatusNotImplemented)
}

// named adds the members by which the modelled exceptions name their subject.
func named(e *wire.Error, cluster, nodegroup string) *wire.Error {
	c := *e
	c.Fields = map[string]any{}
	if cluster != "" {
		c.Fields["clusterName"] = cluster
	}
	if nodegroup != "" {
		c.Fields["nodegroupName"] = nodegroup
	}
	return &c
}

func noCluster(name string) *wire.Error {
	return notFound(name, "No cluster found for name: %s.", name)
}

func noNodegroup(cluster, name string) *wire.Error {
	return named(notFound(cluster, "No node group found for name: %s.", name), cluster, name)
}

func notActive(name string) *wire.Error {
	return invalidRequest(name, "Cluster '%s' is not in ACTIVE status", name)
}
