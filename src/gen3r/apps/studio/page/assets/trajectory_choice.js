// Radio buttons of camera paths: the value is the name of the chosen one.
const radios = [...element.querySelectorAll("input")];
function show() {
  for (const radio of radios) radio.checked = radio.value === props.value;
}
element.addEventListener("change", (event) => {
  if (event.target.type === "radio") props.value = event.target.value;
});
watch("value", show);
show();
