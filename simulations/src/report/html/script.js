for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  });
}
