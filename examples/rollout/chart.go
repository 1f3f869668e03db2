package main

import (
	"fmt"
	"slices"

	"github.com/go-analyze/charts"
)

// drawChart draws one picture: on the left how many requests each way of stopping has lost, on the
// right how long it took.
func drawChart(rows []row, format string) ([]byte, error) {
	ways, experiments := axes(rows)
	const width, margins, bar, gap = 1100, 130, 16, 24
	height := margins + len(experiments)*(len(ways)*bar+gap)
	painter := charts.NewPainter(charts.PainterOptions{
		OutputFormat: format, Width: width, Height: height,
	})
	lost := barChart("Requests lost, of 10,000", ways, experiments, threeDigits,
		values(rows, ways, experiments, func(r row) float64 {
			return 10_000 * float64(r.Failures) / float64(max(1, r.Requests))
		}))
	stop := barChart("Seconds that a stop takes", ways, experiments, decimals,
		values(rows, ways, experiments, func(r row) float64 { return float64(r.StopMean) }))
	for i, opt := range []charts.BarChartOption{lost, stop} {
		box := charts.NewBox(i*width/2, 0, (i+1)*width/2, height)
		if err := painter.Child(charts.PainterBoxOption(box)).BarChart(opt); err != nil {
			return nil, fmt.Errorf("drawing %q: %w", opt.Title.Text, err)
		}
	}
	return painter.Bytes()
}

// colors are the same in each picture.
func colors(ways []string) []charts.Color {
	of := map[string]string{
		stopKill: "#8c1c13", stopShutdown: "#e07a1f", stopSleep: "#4f81bd", stopFx: "#9467bd",
		stopGracekit: "#2ca02c",
	}
	var all []charts.Color
	for _, way := range ways {
		all = append(all, charts.ParseColor(of[way]))
	}
	return all
}

// axes returns what the bars stand for, the first one at the bottom.
func axes(rows []row) (ways, experiments []string) {
	for _, r := range rows {
		if !slices.Contains(ways, r.Stop) {
			ways = append(ways, r.Stop)
		}
		if e := r.experiment.String(); !slices.Contains(experiments, e) {
			experiments = append(experiments, e)
		}
	}
	slices.Reverse(experiments)
	return ways, experiments
}

// values are those of each way, and in these of each experiment.
func values(rows []row, ways, experiments []string, of func(row) float64) [][]float64 {
	all := make([][]float64, len(ways))
	for i := range all {
		all[i] = make([]float64, len(experiments))
		for j := range all[i] {
			all[i][j] = charts.GetNullValue()
		}
	}
	for _, r := range rows {
		i, j := slices.Index(ways, r.Stop), slices.Index(experiments, r.experiment.String())
		all[i][j] = of(r)
	}
	return all
}

func barChart(
	title string, ways, experiments []string, text func(float64) string, values [][]float64,
) charts.BarChartOption {
	opt := charts.NewBarChartOptionWithData(values)
	opt.Horizontal = true
	opt.Theme = charts.GetTheme(charts.ThemeLight).WithSeriesColors(colors(ways))
	opt.Padding = charts.NewBox(10, 10, 60, 10)
	opt.Title.Text = title
	opt.Title.FontStyle.FontSize = 15
	opt.Legend.SeriesNames = ways
	opt.Legend.Offset = charts.OffsetStr{Left: charts.PositionLeft, Top: "34"}
	opt.CategoryAxis.Labels = experiments
	opt.ValueAxis = []charts.ValueAxisOption{{Show: new(false), Min: new(0.0)}}
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label.Show = new(true)
		opt.SeriesList[i].Label.ValueFormatter = text
	}
	return opt
}

func threeDigits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func decimals(v float64) string { return fmt.Sprintf("%.2f", v) }
