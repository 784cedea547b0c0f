package lambda

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Config is a function's configuration.
type Config struct {
	Name, Handler, Role, Runtime, Description string
	Architectures                             []string
	Environment                               map[string]string
	Timeout                                   time.Duration
	MemoryMB                                  int
	LogGroup                                  string
	LogJSON                                   bool
	ApplicationLogLevel, SystemLogLevel       string // JSON format only
	DeadLetterARN                             string
	Reserved                                  *int // reserved concurrent executions
	Tags                                      map[string]string
	TracingMode                               string
}

// reservedKeys are the environment variables that Lambda sets and users may not.
var reservedKeys = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

var (
	nameForm    = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	variableKey = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)
)

func invalid(format string, args ...any) *wire.Error {
	return wire.Errf("InvalidParameterValueException", format, args...)
}

func (c *Config) validate() error {
	if !nameForm.MatchString(c.Name) {
		return invalid("%q is not a function name", c.Name)
	}
	// The handler names a folder of ours, so nothing else may stand in it.
	if !nameForm.MatchString(c.Handler) {
		return invalid("handler %q: the embedded cloud runs <bin>/<handler>/bootstrap, so letters, digits, - and _ only", c.Handler)
	}
	if !strings.HasPrefix(c.Runtime, "provided.") {
		return invalid("runtime %q: the embedded cloud runs provided.al2023 and provided.al2 functions only", c.Runtime)
	}
	if c.Timeout < time.Second || c.Timeout > 900*time.Second {
		return invalid("Value '%d' at 'timeout' failed to satisfy constraint: Member must have value between 1 and 900", int(c.Timeout.Seconds()))
	}
	if c.MemoryMB < 128 || c.MemoryMB > 10240 {
		return invalid("Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value between 128 and 10240", c.MemoryMB)
	}
	if !strings.HasPrefix(c.Role, "arn:aws:iam::") {
		return invalid("role %q is not the ARN of a role", c.Role)
	}
	var reserved []string
	size := 0
	for _, k := range slices.Sorted(maps.Keys(c.Environment)) {
		size += len(k) + len(c.Environment[k])
		if slices.Contains(reservedKeys, k) {
			reserved = append(reserved, k)
		} else if !variableKey.MatchString(k) {
			return invalid("environment variable name %q does not match %s", k, variableKey)
		}
	}
	if len(reserved) > 0 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(reserved, ", "))
	}
	if size > 4096 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	}
	return nil
}

func (c *Config) logGroup() string { return cmp.Or(c.LogGroup, "/aws/lambda/"+c.Name) }

// bootstrap finds the function's executable.
func (c *Config) bootstrap(binDir string) (string, error) {
	path := filepath.Join(binDir, c.Handler, "bootstrap")
	if binDir == "" {
		return "", invalid("function %s cannot run: no folder with executables was given (run `make build`)", c.Name)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", invalid("function %s has no executable at %s: run `make build`", c.Name, path)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return "", invalid("%s is not executable: run `make build`", path)
	}
	return filepath.Abs(path)
}

// variables is the whole environment of a function's process. Nothing of the developer's own environment is in it; the
// two files keep an SDK from finding the developer's profile by way of the user database.
func (c *Config) variables(region, endpoint, api, root, stream string, s session) []string {
	format := "Text"
	if c.LogJSON {
		format = "JSON"
	}
	vars := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ENDPOINT_URL": endpoint,
	}
	maps.Copy(vars, c.Environment)
	maps.Copy(vars, map[string]string{
		"_HANDLER": c.Handler, "LAMBDA_TASK_ROOT": root, "LAMBDA_RUNTIME_DIR": root,
		"AWS_LAMBDA_RUNTIME_API": api, "AWS_LAMBDA_FUNCTION_NAME": c.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": itoa(c.MemoryMB), "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME": c.logGroup(), "AWS_LAMBDA_LOG_STREAM_NAME": stream, "AWS_LAMBDA_LOG_FORMAT": format,
		"AWS_REGION": region, "AWS_DEFAULT_REGION": region,
		"AWS_ACCESS_KEY_ID": s.accessKeyID, "AWS_SECRET_ACCESS_KEY": s.secretAccessKey, "AWS_SESSION_TOKEN": s.token,
	})
	if c.LogJSON {
		vars["AWS_LAMBDA_LOG_LEVEL"] = cmp.Or(c.ApplicationLogLevel, "INFO")
	}
	out := make([]string, 0, len(vars))
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}
