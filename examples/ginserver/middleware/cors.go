package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/response"
)

// CORSConfig says which pages of other origins may use the API.
type CORSConfig struct {
	Origins     []string      `yaml:"origins"`     // such as https://app.example.com, or "*" alone for everybody
	Methods     []string      `yaml:"methods"`     // of which a page may make use
	Headers     []string      `yaml:"headers"`     // that a page may send
	Credentials bool          `yaml:"credentials"` // whether the browser sends cookies along
	MaxAge      time.Duration `yaml:"maxAge"`      // how long a browser may remember this
}

// CORS answers preflights and marks answers for pages of the origins in config. A request from
// another origin is refused with 403. It is no protection against anything but browsers: whoever
// sends no Origin is served.
func CORS(config CORSConfig, w *response.Writer) (gin.HandlerFunc, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	options := cors.Config{
		AllowMethods:     config.Methods,
		AllowHeaders:     config.Headers,
		ExposeHeaders:    []string{"X-Request-ID", "Retry-After"},
		AllowCredentials: config.Credentials,
		MaxAge:           config.MaxAge,
	}
	if config.Origins[0] == "*" {
		options.AllowAllOrigins = true
	} else {
		options.AllowOrigins = config.Origins
		// It is asked about origins that are not in the list. cors then answers 403 without a body,
		// unless there is an answer.
		options.AllowOriginWithContextFunc = func(c *gin.Context, origin string) bool {
			w.Write(c, response.ErrForbidden.Detail("pages of %.100q may not use this", origin), nil)
			return false
		}
	}
	if err := options.Validate(); err != nil {
		return nil, err
	}
	handler := cors.New(options)
	return func(c *gin.Context) {
		c.Header("Vary", "Origin") // also where there is none: a cache must not give that answer to a page
		handler(c)
	}, nil
}

func (config CORSConfig) validate() error {
	everybody := slices.Contains(config.Origins, "*")
	switch {
	case len(config.Origins) == 0:
		return errors.New(`origins is empty: name those of your pages, such as https://app.example.com, or "*"`)
	case everybody && len(config.Origins) > 1:
		return fmt.Errorf(`origins is %q: "*" must stand alone`, config.Origins)
	case everybody && config.Credentials:
		return errors.New(`origins is "*" and credentials is true: browsers refuse that, name the origins`)
	case config.MaxAge < 0:
		return fmt.Errorf("maxAge is %v, must not be negative", config.MaxAge)
	}
	for _, origin := range config.Origins {
		if !everybody && !isOrigin(origin) {
			return fmt.Errorf("origin %q: must be as browsers send it, a scheme, a host, and a port if it is not the usual one, "+
				"such as https://app.example.com or http://localhost:3000", origin)
		}
	}
	for _, method := range config.Methods {
		if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
			return fmt.Errorf("method %q: must be GET, HEAD, POST, PUT, PATCH or DELETE", method)
		}
	}
	return nil
}

// isOrigin reports whether a browser may send this. Anything else in the list would never match,
// and nobody would know why.
func isOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || u.Scheme+"://"+u.Host != origin || strings.Contains(u.Host, "*") {
		return false
	}
	return u.Scheme == "https" && u.Port() != "443" || u.Scheme == "http" && u.Port() != "80"
}
