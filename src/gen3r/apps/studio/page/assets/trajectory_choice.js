// Radio buttons of camera paths: the value is the name of the chosen one.
const radios = [...element.querySelectorAll("input")];
function show() {
  for (const radio of radios) {
    radio.checked = radio.value === props.value;
    if (!radio.checked) continue;
    const [card, row] = [radio.parentElement, radio.parentElement.parentElement];
    row.scrollLeft = card.offsetLeft - (row.clientWidth - card.clientWidth) / 2; // a row that scrolls, on a phone
  }
}
element.addEventListener("change", (event) => {
  if (event.target.type === "radio") props.value = event.target.value;
});
watch("value", show);
show();
