package integration_test

import (
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
)

// Fiber is made with fasthttp, not with net/http. It has a callback in place of a server, and a
// middleware in place of DrainHandler.
func TestFiber(t *testing.T) {
	run(t, framework{"fiber", func(t *testing.T, i *instance) {
		app := fiber.New()
		app.Use(func(c fiber.Ctx) error {
			err := c.Next()
			if i.isDraining() {
				c.Response().SetConnectionClose()
			}
			return err
		})
		app.Post("/", func(c fiber.Ctx) error { return c.SendString(i.answer(string(c.Body()))) })
		l := i.listen(t)
		require.NoError(t, i.AddCallback(shutdown.Callback{
			Name: "api", Phase: shutdown.PhaseIngress, Func: app.ShutdownWithContext,
		}))
		i.goServe(t, func() error {
			return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
		})
	}, http1})
}
