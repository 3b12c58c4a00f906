      * The records of the shop, as a COBOL program copies them and as
      * remotecalls.sockets.copybook reads them.
      *
      * What a terminal asks. TRAN-CODE says which record it is.
       01  ADD-REQUEST.
           05  TRAN-CODE       PIC X(4).
           05  CUST-ID         PIC 9(8).
           05  CUST-NAME       PIC X(30).
           05  CUST-BALANCE    PIC S9(7)V99 COMP-3.
       01  INQUIRY-REQUEST.
           05  TRAN-CODE       PIC X(4).
           05  CUST-ID         PIC 9(8).
       01  UPDATE-REQUEST.
           05  TRAN-CODE       PIC X(4).
           05  CUST-ID         PIC 9(8).
           05  CHANGE          PIC S9(7)V99 COMP-3.
       01  LIST-REQUEST.
           05  TRAN-CODE       PIC X(4).
           05  AFTER-ID        PIC 9(8).
           05  PAGE-LIMIT      PIC 9(4).
       01  ORDER-REQUEST.
           05  TRAN-CODE       PIC X(4).
           05  CUST-ID         PIC 9(8).
           05  ITEM            PIC X(30).
           05  QUANTITY        PIC 9(4).
           05  UNIT-PRICE      PIC S9(7)V99 COMP-3.
      * What comes back. REC-TYPE says which record it is.
       01  CUSTOMER-REPLY.
           05  REC-TYPE        PIC X(4).
           05  CUST-ID         PIC 9(8).
           05  CUST-NAME       PIC X(30).
           05  CUST-BALANCE    PIC S9(7)V99 COMP-3.
       01  ORDER-REPLY.
           05  REC-TYPE        PIC X(4).
           05  ORDER-ID        PIC 9(10).
           05  CUST-ID         PIC 9(8).
           05  ITEM            PIC X(30).
           05  QUANTITY        PIC 9(4).
           05  UNIT-PRICE      PIC S9(7)V99 COMP-3.
       01  END-REPLY.
           05  REC-TYPE        PIC X(4).
           05  REC-COUNT       PIC 9(10).
       01  ERROR-REPLY.
           05  REC-TYPE        PIC X(4).
           05  ERR-CODE        PIC X(24).
           05  ERR-TEXT        PIC X(120).
