{application, shop,
 [{description, "Customers and orders"},
  {vsn, "1.0.0"},
  {modules, [shop, customer_supervisor, customer_server, order_server]},
  {registered, [customer_supervisor, customer_server, order_server]},
  {applications, [kernel, stdlib]},
  {mod, {shop, []}}]}.
