// The figures were drawn while the page was still growing: fit them now. Their letters follow the page into the dark.
(() => {
  for (const figure of document.querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(figure);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    for (const figure of document.querySelectorAll(".js-plotly-plot")) {
      Plotly.relayout(figure, { "font.color": dark.matches ? "#c9d3dc" : "#3c4650" });
    }
  };
  dark.addEventListener("change", paint);
  if (dark.matches) paint();
})();
