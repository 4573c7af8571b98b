// What the pages do beside htmx: drop and paste files, say what was chosen, and keep forms from
// being sent twice. Every page works without it but for these.
(() => {
  "use strict";

  const inputOf = (zone) => zone.querySelector("input[type=file]");

  function say(zone) {
    const chosen = zone.querySelector("[data-chosen]");
    const files = Array.from(inputOf(zone).files);
    if (chosen && files.length > 1) {
      const more = files.length > 3 ? ` + ${files.length - 3}` : "";
      chosen.textContent = files.slice(0, 3).map((file) => file.name).join(", ") + more;
    }
  }

  function take(zone, files) {
    const input = inputOf(zone);
    const taken = new DataTransfer();
    for (const file of files) {
      if (taken.items.length === 0 || input.multiple) taken.items.add(file);
    }
    if (!taken.items.length) return;
    input.files = taken.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  for (const zone of document.querySelectorAll("[data-drop]")) {
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      take(zone, event.dataTransfer.files);
    });
    inputOf(zone).addEventListener("change", () => say(zone));
  }

  // A picture that misses the zone must not take the place of the page.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }

  document.addEventListener("paste", (event) => {
    const zone = document.querySelector("[data-paste]");
    const files = Array.from(event.clipboardData ? event.clipboardData.files : []);
    if (zone && files.length) {
      event.preventDefault();
      take(zone, files);
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-clear]");
    if (!button) return;
    const input = document.getElementById(button.dataset.clear);
    input.value = "";
    say(input.closest("[data-drop]"));
  });

  // Put what was advised into the form, which then asks for a score.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fill]");
    if (!button) return;
    const form = document.getElementById(button.dataset.form);
    for (const [name, value] of Object.entries(JSON.parse(button.dataset.fill))) {
      form.elements[name].value = value;
    }
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });

  document.addEventListener("change", (event) => {
    const select = event.target.closest("[data-leads]");
    if (select) location.assign(select.dataset.leads + encodeURIComponent(select.value));
  });

  // A map whose cells say all they know when they are pointed at or focused: one stop for Tab, and
  // arrow keys from there.
  for (const table of document.querySelectorAll("[data-cells]")) {
    const place = document.getElementById(table.dataset.cells);
    const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.querySelectorAll("td")));
    const cells = rows.flat();
    if (!place || !cells.length) continue;
    const show = (cell) => {
      for (const each of cells) each.classList.toggle("chosen", each === cell);
      place.textContent = cell ? cell.dataset.detail : place.dataset.hint;
    };
    const focused = () => cells.find((cell) => cell === document.activeElement);
    const enter = (cell) => {
      for (const each of cells) each.tabIndex = each === cell ? 0 : -1;
    };
    table.setAttribute("role", "grid");
    enter(cells[0]);
    show(null);
    for (const cell of cells) {
      cell.addEventListener("focus", () => { enter(cell); show(cell); });
      cell.addEventListener("blur", () => show(null));
      cell.addEventListener("mouseenter", () => show(cell));
      cell.addEventListener("mouseleave", () => show(focused() || null));
      cell.addEventListener("click", () => cell.focus());
    }
    table.addEventListener("keydown", (event) => {
      const y = rows.findIndex((row) => row.includes(event.target));
      if (y < 0) return;
      const x = rows[y].indexOf(event.target);
      const last = rows[y].length - 1;
      const [toY, toX] = {
        ArrowUp: [y - 1, x],
        ArrowDown: [y + 1, x],
        ArrowLeft: [y, x - 1],
        ArrowRight: [y, x + 1],
        Home: event.ctrlKey ? [0, 0] : [y, 0],
        End: event.ctrlKey ? [rows.length - 1, last] : [y, last],
      }[event.key] || [];
      const next = rows[toY] && rows[toY][toX];
      if (toY === undefined) return;
      event.preventDefault();
      if (next) next.focus();
    });
  }

  // A question that was opened is left with Escape.
  document.addEventListener("keydown", (event) => {
    const asked = event.key === "Escape" && event.target.closest("details.delete[open]");
    if (!asked) return;
    asked.open = false;
    asked.querySelector("summary").focus();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.busy) return;
    const button = form.querySelector("button.main");
    // After the browser has read the form: what is disabled before is not sent.
    setTimeout(() => {
      button.disabled = true;
      button.textContent = form.dataset.busy;
    });
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
})();
