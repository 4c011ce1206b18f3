// A link that has just been made is followed at once: the zip is saved without another click.
let last = "";
watch("value", () => {
  const link = element.querySelector("a[data-fresh]");
  if (!link || link.href === last) return;
  last = link.href;
  link.click();
  link.focus();
});
