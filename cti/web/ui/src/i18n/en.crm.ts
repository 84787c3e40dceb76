// English words of the outside customer system.

export const crm = {
  open: "Open in CRM",
};
